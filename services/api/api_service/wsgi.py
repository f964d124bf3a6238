"""What gunicorn serves: `gunicorn -c python:common.gunicorn_conf api_service.wsgi:app`."""

from api_service.app import create_app

app = create_app()
