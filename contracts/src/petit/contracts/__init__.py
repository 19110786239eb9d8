"""What Petit Chat's parts say to one another: signals, subjects, requests and the rules of a chat."""
