"""The same pages (`book_list`, `book_detail`, `book_rates`), one module a contender."""
