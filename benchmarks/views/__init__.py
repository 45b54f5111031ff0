"""
The same pages, one module a contender: `book_list`, `book_detail`, `book_rates`.

`python -m benchmarks serve` and its like ask for more pages, of some contenders:
`benchmarks.urls` names them. `probes` has no contender: the harness looks into a server
with it.
"""
