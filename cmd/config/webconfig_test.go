package config

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAWebConfigurationThatLetsInAnybodyAsksNobody(t *testing.T) {
	for text, want := range map[string]bool{
		"basic_auth_users: {ann: $2y$10$x}":                                 true,
		"tls_server_config: {client_auth_type: RequireAndVerifyClientCert}": true,
		"tls_server_config: {client_auth_type: VerifyClientCertIfGiven}":    false,
		"tls_server_config: {client_auth_type: RequireAnyClientCert}":       false, // any at all
		"basic_auth_users: {}": false,
		"basic_auth_users: [":  false,
		"":                     false,
	} {
		file := filepath.Join(t.TempDir(), "web.yml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := (&Server{WebConfigFile: file}).AsksWhoComes(); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
	for _, file := range []string{"", filepath.Join(t.TempDir(), "none.yml")} {
		if (&Server{WebConfigFile: file}).AsksWhoComes() {
			t.Errorf("%q asks", file)
		}
	}
}
