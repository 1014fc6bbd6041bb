package config

// What the web configuration, which exporter-toolkit owns, says of who comes.

import "go.yaml.in/yaml/v3"

// webConfig is the part of server.web_config_file that says whom it lets in.
type webConfig struct {
	Users map[string]string `yaml:"basic_auth_users"`
	TLS   struct {
		ClientAuth string `yaml:"client_auth_type"`
	} `yaml:"tls_server_config"`
}

// AsksWhoComes says whether the web configuration lets in only those who show a
// password or a certificate. The file is read each time, as the server does; of
// one that cannot be read it is not known, and so false.
func (s *Server) AsksWhoComes() bool {
	if s.WebConfigFile == "" {
		return false
	}
	data, err := readFile(s.WebConfigFile)
	if err != nil {
		return false
	}
	var file webConfig
	return yaml.Unmarshal(data, &file) == nil && (len(file.Users) > 0 || file.TLS.ClientAuth == "RequireAndVerifyClientCert")
}
