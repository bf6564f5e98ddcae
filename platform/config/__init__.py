"""The Django project: settings, addresses, servers. No code of the product lives here."""
