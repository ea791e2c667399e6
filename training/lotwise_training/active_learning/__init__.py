"""Which lot to test next, and how many tiles are enough."""
