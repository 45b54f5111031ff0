"""Functions that send emails. None of them is run."""

from __future__ import annotations

from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives, send_mail


class Welcome(EmailMultiAlternatives):
    pass


def by_function():
    send_mail("Hello", "", None, ["ann@example.com"])


def by_module():
    mail.send_mass_mail([])


def to_admins():
    mail.mail_admins("Hello", "")


def to_managers():
    from django.core.mail import mail_managers as tell

    tell("Hello", "")


def at_once():
    EmailMessage("Hello").send()


def by_name():
    message = mail.EmailMultiAlternatives("Hello")
    message.attach_alternative("<p>", "text/html")
    message.send(fail_silently=True)


def by_one_of_two(html):
    if html:
        message: EmailMessage = EmailMultiAlternatives("Hello")
    else:
        message = EmailMessage("Hello")
    message.send()


def by_subclass():
    (message := Welcome("Hello")).attach("a.txt", "")
    message.send()


def by_local_class():
    from django.core.mail.message import EmailMessage as Message

    message = Message("Hello")
    message.send()


async def in_async_code():
    send_mail("Hello", "", None, ["ann@example.com"])


def writes_only():
    message = EmailMessage("Hello")
    return message.message()


def sends_something_else(signal, message):
    signal.send(sender=None)
    message.send()


def may_send_something_else(channel):
    message = EmailMessage("Hello")
    message = channel
    message.send()
