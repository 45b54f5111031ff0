"""Ask the shop, which is another service. shop.py is that service."""

import ssl

import httpx

SHOP = "http://127.0.0.1:8001"
# Reading the certificates is slow, so do it once.
TLS = ssl.create_default_context()


async def fetch(path):
    async with httpx.AsyncClient(
        base_url=SHOP, verify=TLS, timeout=5
    ) as client:
        response = await client.get(path)
        return response.raise_for_status().json()


async def fetch_prices():
    """Return the price of each book by its title."""
    return await fetch("/prices")


async def fetch_stock():
    """Return how many copies of each book there are, by its title."""
    return await fetch("/stock")


async def is_open():
    """Return whether the shop is open."""
    return await fetch("/open")


async def is_partner(username):
    """Return whether a user buys books for a shop of their own."""
    return username in await fetch("/partners")


async def spelling_of(word):
    """Return the word as it is spelled correctly."""
    return (await fetch("/spelling")).get(word, word)


async def fetch_tag_limit():
    """Return how many tags a reader may add at once."""
    return await fetch("/tag-limit")


async def is_leaked(password):
    """Return whether thieves know a password."""
    return password in await fetch("/leaked-passwords")
