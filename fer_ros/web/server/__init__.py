"""The web server: settings, access control and the application around both tabs."""
