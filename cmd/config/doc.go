// Package config is triagebot's configuration file: its types and defaults,
// how it is loaded, and everything that can be wrong with it. A file is checked
// whole: each problem names file, line and key, and says what is allowed.
//
// Secrets never stand in the file. A key that ends in _file or _env says where
// one is, and Load reads it; a reload reads it anew.
package config
