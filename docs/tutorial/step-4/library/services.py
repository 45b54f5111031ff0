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
    return await fetch("/prices")


async def fetch_stock():
    return await fetch("/stock")
