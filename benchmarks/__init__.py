"""Speed and cost, measured on the machine at hand; `make bench` prints them."""
