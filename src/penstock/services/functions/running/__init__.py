"""How functions run: processes that speak Lambda's Runtime API, and what keeps them apart."""
