"""Lotwise: property, uncertainty, referral and explanation of materials lots from SEM tiles."""
