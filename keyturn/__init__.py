"""keyturn: a Gong OAuth integration, from nothing to a tested StackOne connection, with its secret kept turning."""
