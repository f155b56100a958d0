//! Documents that show configuration are read by the real parser.
