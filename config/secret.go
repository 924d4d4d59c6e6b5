package config

import (
	"fmt"
	"log/slog"
)

// Secret is a password or token. However it is printed, marshalled or logged, it shows only that it is set.
type Secret struct{ text string }

// NewSecret wraps a text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal returns the text. To be called where it is handed to a driver, and nowhere else.
func (s Secret) Reveal() string { return s.text }

// IsSet tells whether there is any text.
func (s Secret) IsSet() bool { return s.text != "" }

func (s Secret) String() string {
	if s.IsSet() {
		return "***"
	}
	return ""
}

// Format serves every verb, %#v and %x included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText serves JSON, YAML and XML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue serves slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }
