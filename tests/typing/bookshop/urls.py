"""Where the views of the shop are."""

from django.urls import path, re_path

from tests.typing.bookshop import views

urlpatterns = [
    path("books/", views.BookList.as_view(), name="books"),
    path("books/sync/", views.SyncBookList.as_view()),
    path("books/priced/", views.PricedBookList.as_view(paginate_by=5)),
    path("books/<int:pk>/", views.BookDetail.as_view()),
    path("authors/<int:pk>/", views.AuthorDetail.as_view()),
    path("contact/", views.Contact.as_view()),
    path("books/new/", views.BookCreate.as_view()),
    path("books/fields/", views.BookCreateFromFields.as_view()),
    path("books/<int:pk>/edit/", views.BookUpdate.as_view()),
    path("books/<int:pk>/delete/", views.BookDelete.as_view()),
    path("books/<int:pk>/confirm/", views.ConfirmedBookDelete.as_view()),
    path("archive/", views.BookArchive.as_view()),
    path("archive/<year>/", views.BookYear.as_view()),
    path("archive/<year>/<month>/", views.BookMonth.as_view()),
    path("archive/<year>/week/<week>/", views.BookWeek.as_view()),
    path("archive/<year>/<month>/<day>/", views.BookDay.as_view()),
    path("archive/<year>/<month>/<day>/<int:pk>/", views.BookOnItsDay.as_view()),
    path("today/", views.BookToday.as_view()),
    path("books/counted/", views.CountedBookList.as_view()),
    path("books/counted/sync/", views.SyncCountedBookList.as_view()),
    path("books/<int:pk>/reserved/", views.ReservedBook.as_view()),
    path("again/", views.AskedAgain.as_view()),
    path("books/<int:pk>/traced/", views.TracedBookUpdate.as_view()),
    path("books/guarded/", views.GuardedBookList.as_view()),
    re_path(r"^guide/(?P<page>\w+)/$", views.Guide.as_view()),
    path("page/", views.Page.as_view()),
    path("elsewhere/", views.Elsewhere.as_view()),
    path("elsewhere/sync/", views.SyncElsewhere.as_view()),
    path("api/", views.Api.as_view()),
    path("books/mixed/", views.MixedBookList.as_view()),
    path("books/backward/", views.BackwardBookList.as_view()),
    path("books/private/", views.PrivateBookList.as_view()),
    path("books/<int:pk>/own/", views.OwnBookUpdate.as_view()),
    path("webhook/", views.Webhook.as_view()),
]
