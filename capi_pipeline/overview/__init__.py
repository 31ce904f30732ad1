"""`capi report`: what a week of deliveries did, as one page for people who do not use Dagster."""
