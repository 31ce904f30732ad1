"""A simulated shop: fills the raw tables of a warehouse with the orders, leads and page events of people who do not exist.

Its rows are messy on purpose; the shares are the constants of `people`, `visits`, `sales` and `journeys`.

- Staging must repair: blanks around text; '' for null; currency in lower case; country in lower case, 'UK' or missing;
  consent in upper case or ''; values that are text in `properties`.
- Staging must drop: an order and status, or a page event, that is loaded again an hour later; a second purchase event of
  one order; cancelled orders.
- The transform must refuse: e-mails 'n/a', 'not-an-email', 'a@b', 'x@@example.com', 'x.at.example.com'; phones '0', '123',
  'n/a'. It must pass on e-mails that are 64 hex digits already, and read phones with an extension and regions in words.
"""

# One platform of each kind, which stand for all where each costs seconds: one queues, one refuses a whole request for one
# event, one rotates its token and takes adjustments, one does not deduplicate, one answers 200 to everything.
FIVE = ("google_data_manager", "meta", "microsoft_offline", "outbrain", "tiktok")
