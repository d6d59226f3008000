"""What the end-to-end tests stand on: private servers, daemons, providers, proxies, certificates and browsers."""
