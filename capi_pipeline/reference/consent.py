"""The consent decision, as a privacy officer reads it, and the same table for dbt: every combination, out of the rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from capi_pipeline.conversions.consent import OPT_IN_COUNTRIES, RULES, PlatformClass, State, refusal
from capi_pipeline.platforms import NAMES, platform
from capi_pipeline.platforms.privacy import PRIVACY
from capi_pipeline.reference.tables import MADE, table

BEGIN, END = "<!-- by hand -->\n", "<!-- /by hand -->\n"
JURISDICTIONS = {"EEA, UK, Switzerland": True, "US states": False, "elsewhere": False, "country unknown": True}
STATES = {
    State.GRANTED: "yes to storage and to the use of data",
    State.UNKNOWN: "not asked, or only one of the two answered",
    State.UNREADABLE: "the answer stands in a string that cannot be read",
    State.DENIED: "no to either",
    State.ERASED: "asked to be forgotten",
}
CLASSES = {
    PlatformClass.LIMITED_DATA: "takes a flag for limited use",
    PlatformClass.CONSENT_AND_LIMITED_DATA: "takes the choices and a flag for limited use",
    PlatformClass.CONSENT_FIELDS: "takes the choices; no flag for limited use",
    PlatformClass.ANALYTICS: "measures the site; after an opt-out it is told so and gets no identifier",
    PlatformClass.AFFILIATE: "settles commissions by click id; cannot be told anything",
    PlatformClass.PLAIN: "cannot be told anything",
}
MACRO = "dbt_project/macros/consent_rules.sql"
UNIT_TESTS = "dbt_project/models/marts/consent_decisions_unit_tests.yml"


def page(old: str) -> str:
    """docs/consent.md; `old`: what stands in it, whose part by hand is kept."""
    hand = f"{BEGIN}{old.split(BEGIN, 1)[-1].split(END, 1)[0]}{END}" if BEGIN in old and END in old else BEGIN + END
    return f"""# Consent

{MADE}
{hand}
## The rules

The first that holds decides. Where none does, the conversion is sent.

{_rules()}
## Every combination

What happens to a conversion, by what the person said, where they live and what the platform can be told. *sent, limited*: with
the platform's flag for limited use. The tests try each cell of this table through the whole pipeline.

{_combinations()}
## What each platform can be told

{_classes()}
A TCF string is also asked for consent to the platform's own vendor number, where one is known: without it the conversion is
withheld from this platform as `vendor_denied`.

{_platforms()}"""


def _rules() -> str:
    return table(("order", "reason", "when"), ((str(n), f"`{r.reason}`", r.because) for n, r in enumerate(RULES, 1)))


def cell(state: State, opt_in: bool, opted_out: bool, kind: PlatformClass) -> str:
    """What happens, in words."""
    reason = refusal(state, opt_in, opted_out, kind.limits)
    return f"`{reason}`" if reason else "sent, limited" if opted_out else "sent"


def _combinations() -> str:
    rows = [
        (STATES[state], "yes" if out else "no", place, *(cell(state, opt_in, out, kind) for kind in CLASSES))
        for (state, out), (place, opt_in) in product(product(STATES, (False, True)), JURISDICTIONS.items())
    ]
    return table(("what the person said", "opted out of sale", "where", *(f"`{kind}`" for kind in CLASSES)), rows)


def _classes() -> str:
    return table(("class", "meaning"), ((f"`{kind}`", words) for kind, words in CLASSES.items()))


def _platforms() -> str:
    rows = []
    for name in NAMES:
        known = PRIVACY[name]
        vendor = str(known.vendor) if known.vendor else ""
        rows.append((f"[{platform(name).title}](destinations/{name}.md)", f"`{known.kind}`", vendor, known.deletion))
    return table(("platform", "class", "TCF vendor", "how it is asked to delete"), rows)


def macro() -> str:
    """The table for dbt: rules, classes and countries as rows of SQL."""
    rules = ",\n        ".join(
        f"({n}, '{rule.reason}', '{state}', {_sql(rule.opt_in)}, {_sql(rule.opted_out)}, {_sql(rule.limits)})"
        for n, rule in enumerate(RULES, 1)
        for state in rule.states
    )
    classes = ",\n        ".join(f"('{kind}', {_sql(kind.limits)})" for kind in PlatformClass)
    countries = ", ".join(f"'{code}'" for code in sorted(OPT_IN_COUNTRIES))
    return f"""{{#- Made from the code by `python -m capi_pipeline.reference docs`: the rules of conversions/consent.py. -#}}

{{#- Of each state: the rules in their order; the first that holds withholds. Null: whichever. -#}}
{{% macro consent_rules() -%}}
    select *
    from (
        values
        {rules}
    ) as rules (place, reason, state, opt_in, opted_out, limits)
{{%- endmacro %}}

{{#- Classes of platforms, and whether one can be told that a person opted out of sale. -#}}
{{% macro consent_classes() -%}}
    select *
    from (
        values
        {classes}
    ) as classes (platform_class, limits)
{{%- endmacro %}}

{{#- Where silence means no: CAPI_OPT_IN_COUNTRIES, as for the pipeline, or else these. -#}}
{{% macro opt_in_countries() -%}}
    {{%- set given = modules.re.findall('[A-Z]{{2}}', (env_var('CAPI_OPT_IN_COUNTRIES', '') if execute else '') | upper) -%}}
    {{{{ "'" ~ given | join("', '") ~ "'" if given else "{countries}" }}}}
{{%- endmacro %}}

{{#- Whether an unknown country counts as one of them: CAPI_OPT_IN_IF_UNKNOWN. -#}}
{{% macro opt_in_if_unknown() -%}}
    {{%- set given = env_var('CAPI_OPT_IN_IF_UNKNOWN', '') if execute else '' -%}}
    {{{{ 'false' if given | lower in ['0', 'false', 'f', 'n', 'no', 'off'] else 'true' }}}}
{{%- endmacro %}}
"""


def _sql(value: bool | None) -> str:
    return "cast(null as boolean)" if value is None else str(value).lower()


def unit_tests() -> str:
    """A dbt unit test of every combination that columns can tell."""
    given, expected = [], []
    for number, (state, country, opted_out) in enumerate(_cases()):
        row = {"event_id": f"e{number}", "event_name": "purchase", "country": country, "opt_out_of_sale": opted_out}
        row |= {"consent_ad_storage": "granted", "consent_ad_user_data": None if state == "unknown" else state}
        given.append(_row(row))
        for kind in PlatformClass:
            reason = refusal(State(state), country != "US", bool(opted_out), kind.limits)
            row = {"event_id": f"e{number}", "platform_class": kind.value, "state": state}
            row |= {"measurement": "refused" if reason else "allowed", "reason": reason}
            expected.append(_row(row | {"limited": bool(opted_out) and not reason, "is_final": True}))
    lines = "\n".join(f"          - {row}" for row in given), "\n".join(f"        - {row}" for row in expected)
    return f"""# Made from the code by `python -m capi_pipeline.reference docs`: what conversions/consent.py decides.
unit_tests:
  - name: dbt_decides_as_the_pipeline_does
    description: Every state that columns can tell, in every jurisdiction, with and without an opt-out, for every class.
    model: consent_decisions
    given:
      - input: ref('conversions')
        rows:
{lines[0]}
    expect:
      rows:
{lines[1]}
"""


def _cases() -> Iterator[tuple[str, str | None, bool | None]]:
    return product(("granted", "unknown", "denied"), ("DE", "GB", "CH", "US", None), (None, True))


def _row(values: Mapping[str, str | bool | None]) -> str:
    """A row of a unit test, as YAML."""
    texts = {name: "null" if v is None else str(v).lower() if isinstance(v, bool) else v for name, v in values.items()}
    return f"{{{', '.join(f'{name}: {text}' for name, text in texts.items())}}}"
