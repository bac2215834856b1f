"""How long a lab of many containers takes to come and to go, beside other ways to the same."""
