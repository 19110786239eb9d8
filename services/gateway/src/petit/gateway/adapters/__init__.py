"""The world behind the gateway's ports, where `petit.kit` does not implement them already."""
