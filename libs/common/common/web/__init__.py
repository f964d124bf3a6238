"""What every web service is made of; `common.web.app.create_app` puts it together."""
