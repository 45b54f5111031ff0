"""Addresses of the shop."""

from django.urls import path

from shop import views

app_name = "shop"

urlpatterns = [
    path("", views.Shelf.as_view(), name="shelf"),
    path("order/", views.OrderCreate.as_view(), name="order"),
    path("orders/", views.OrderList.as_view(), name="orders"),
    path("orders/<int:pk>/", views.OrderDetail.as_view(), name="detail"),
]
