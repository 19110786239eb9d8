"""What `petit up` is: a light process that starts the log server and the services, and keeps them running."""
