"""An app made with Django. Arguments: which package speaks SCIM for it (django_scim2_server or
django_scim), the token, and a folder for its database. It prints the port that it listens on."""

import os
import socketserver
import sys
import wsgiref.simple_server

from django.conf import settings

package, token, folder = sys.argv[1:]
sys.modules["django_app"] = sys.modules[__name__]


def is_ours(request):
    return request.headers.get("Authorization") == "Bearer " + token


class SignIn:
    """django_scim asks who is signed in; whoever has the token is somebody."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.user = type("Caller", (), {"is_authenticated": is_ours(request)})()
        return self.get_response(request)


common = {
    "SECRET_KEY": "only here",
    "ALLOWED_HOSTS": ["127.0.0.1"],
    "ROOT_URLCONF": "django_app",
    "DEFAULT_AUTO_FIELD": "django.db.models.BigAutoField",
    "DATABASES": {
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(folder, "app.sqlite"),
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
        }
    },
}
basics = ["django.contrib.contenttypes", "django.contrib.auth"]
if package == "django_scim2_server":
    settings.configure(
        **common,
        INSTALLED_APPS=[*basics, package],
        SCIM2_SERVER_AUTH_CHECK="django_app.is_ours",
    )
else:
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "django"))
    settings.configure(
        **common,
        INSTALLED_APPS=[*basics, "accounts", package],
        AUTH_USER_MODEL="accounts.Account",
        MIDDLEWARE=["django_app.SignIn", "django_scim.middleware.SCIMAuthCheckMiddleware"],
        SCIM_SERVICE_PROVIDER={
            "NETLOC": "localhost",
            "AUTHENTICATION_SCHEMES": [{"type": "oauth2", "name": "token", "description": "one"}],
            "GROUP_MODEL": "accounts.models.Team",
        },
    )

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.urls import include, path  # noqa: E402

urlpatterns = [path("scim/v2/", include(package + ".urls"))]


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True
    request_queue_size = 64


class Handler(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *_):
        pass


call_command("migrate", run_syncdb=True, verbosity=0)
server = wsgiref.simple_server.make_server(
    "127.0.0.1", 0, get_wsgi_application(), Server, Handler
)
print(server.server_port, flush=True)
server.serve_forever()
