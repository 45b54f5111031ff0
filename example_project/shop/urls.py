"""Addresses of the shop."""

from django.urls import path

from shop import views

app_name = "shop"

urlpatterns = [
    path("", views.Shelf.as_view(), name="shelf"),
    path("stock/", views.Stock.as_view(), name="stock"),
    path("order/", views.OrderCreate.as_view(), name="order"),
    path("desk/", views.Desk.as_view(), name="desk"),
    path("desk/news/", views.DeskNews.as_view(), name="desk_news"),
    path("desk/prices/", views.Prices.as_view(), name="prices"),
    path("orders/", views.OrderList.as_view(), name="orders"),
    path("orders/<int:pk>/", views.OrderDetail.as_view(), name="detail"),
]
