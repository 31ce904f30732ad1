"""The accounts that exist in the sandbox and the credentials that open them.

None of these values means anything outside the sandbox.
"""

from __future__ import annotations

META_PIXEL_ID = "123456789012345"
META_ACCESS_TOKEN = "sandbox-meta-token"
META_APP_SECRET = "sandbox-meta-app-secret"

GOOGLE_CLIENT_ID = "sandbox.apps.googleusercontent.com"
GOOGLE_CLIENT_SECRET = "sandbox-google-secret"
GOOGLE_REFRESH_TOKEN = "1//sandbox-google-refresh"
GOOGLE_OPERATING_ACCOUNT_ID = "1234567890"
GOOGLE_LOGIN_ACCOUNT_ID = "9998887777"
GOOGLE_MERCHANT_ID = "123456789"
GOOGLE_CONVERSION_ACTIONS = {
    "purchase": "111",
    "generate_lead": "222",
    "add_to_cart": "333",
    "sign_up": "444",
    "qualify_lead": "666",
    "close_convert_lead": "777",
    "begin_checkout": "888",
    "add_payment_info": "999",
    "Demo Booked": "555",
}

TIKTOK_ACCESS_TOKEN = "sandbox-tiktok-token"
TIKTOK_PIXEL_CODE = "C4EXAMPLEPIXEL00000"
TIKTOK_APP_ID = "6600000000000000001"
TIKTOK_OFFLINE_EVENT_SET_ID = "7300000000000000001"
TIKTOK_CRM_EVENT_SET_ID = "7400000000000000001"

MICROSOFT_CLIENT_ID = "11111111-2222-3333-4444-555555555555"
MICROSOFT_CLIENT_SECRET = "sandbox-microsoft-secret"
MICROSOFT_REFRESH_TOKEN = "sandbox-microsoft-refresh-0"
MICROSOFT_DEVELOPER_TOKEN = "sandbox-developer-token"
MICROSOFT_CUSTOMER_ID = "1234567"
MICROSOFT_CUSTOMER_ACCOUNT_ID = "7654321"
MICROSOFT_CONVERSION_NAMES = {
    "purchase": "Offline Purchase",
    "generate_lead": "Lead",
    "qualify_lead": "Qualified Lead",
    "close_convert_lead": "Converted Lead",
    "sign_up": "Sign Up",
    "add_to_cart": "Add To Cart",
    "begin_checkout": "Begin Checkout",
    "add_payment_info": "Add Payment Info",
}
MICROSOFT_CLICK_ID_ONLY_GOAL = "Click Id Only"  # enhanced conversions are switched off
MICROSOFT_FIXED_GOAL = "Not Adjustable"  # a goal type that takes no adjustments

OUTBRAIN_CONVERSION_NAMES = {
    "purchase": "Purchase",
    "generate_lead": "Lead",
    "sign_up": "Sign up",
    "add_to_cart": "Add to cart",
    "begin_checkout": "Checkout",
    "add_payment_info": "Add payment info",
}
