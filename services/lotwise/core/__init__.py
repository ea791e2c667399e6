"""What training and serving must agree on. No torch, no gRPC, no inference client."""
