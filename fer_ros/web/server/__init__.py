"""The page's server: settings, access and the application around both tabs."""
