{#- First-party cookies whose value a platform takes, and the name under which the contract's `browser_ids` carries them. -#}
{% macro browser_id_cookies() %}
    {{ return({
        '_fbp': 'fbp', '_fbc': 'fbc',
        '_ttp': 'ttp',
        '_scid': 'scid',
        '_epik': 'epik', '_pin_unauth': 'pin_unauth',
        '_rdt_uuid': 'rdt_uuid',
        '_uetvid': 'uet_vid', '_uetsid': 'uet_sid',
        '_ym_uid': '_ym_uid',
        '_ly_su': 'ly_su', '_ly_c': 'ly_c', '_ly_r': 'ly_r', 'line_uid': 'line_uid',
        '__obref': '__obref', '__oppref': '__oppref',
        '_axeid': 'axeid', 'axeid': 'axeid', '_axart': 'axart', 'axart': 'axart', '_axwrt': 'axwrt', 'axwrt': 'axwrt',
        'awin_awc': 'awin_awc', 'cje': 'cje', 'cjUser': 'cjUser',
        'crto_mapped_user_id': 'crto_mapped_user_id', 'crto_is_user_optout': 'crto_is_user_optout',
        'criteo_page_view_id': 'criteo_page_view_id',
        'outbrain_cid': 'outbrain_cid', 'taboola_cid': 'taboola_cid', 'quora_qclid': 'quora_qclid',
        'sa-userid': 'sa-userid', 'sa-postbackid': 'sa-postbackid',
        'spdt': 'spdt', 'aFC': 'aFC',
        'tdid': 'tdid', 'uid2': 'uid2', 'euid': 'euid', 'idl': 'idl',
    }) }}
{% endmacro %}
