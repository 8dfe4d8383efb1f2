"""What happens while requests are served: how the bandwidth changes and when requests arrive. For either backend."""
