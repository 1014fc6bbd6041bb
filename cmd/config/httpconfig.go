package config

// http_config, how a client authenticates and connects: its paths, its files,
// and that no secret stands in it. Prometheus's own type would take one, and
// --print would show some of them.

import (
	"strings"

	promconfig "github.com/prometheus/common/config"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/strictyaml"
)

// literalSecrets are keys of http_config that hold a secret, or name one in a
// secret manager that is not there, with what to write instead.
var literalSecrets = map[string]string{
	"password": "password_file", "credentials": "credentials_file", "bearer_token": "authorization with credentials_file",
	"client_secret": "client_secret_file", "client_certificate_key": "client_certificate_key_file", "key": "key_file", "secrets": "files",
	"password_ref": "password_file", "username_ref": "username_file", "credentials_ref": "credentials_file", "client_secret_ref": "client_secret_file",
	"client_certificate_key_ref": "client_certificate_key_file", "key_ref": "key_file", "cert_ref": "cert_file", "ca_ref": "ca_file",
}

// httpConfig checks the http_config of what a path names.
func (k *checker) httpConfig(path string, h *promconfig.HTTPClientConfig) {
	k.httpConfigAt(path+".http_config", h)
}

// httpConfigAt resolves the paths of an http_config, whose own path is given,
// and checks that its secrets are in files that can be read.
func (k *checker) httpConfigAt(path string, h *promconfig.HTTPClientConfig) {
	h.SetDirectory(k.dir)
	k.walk(path, func(full, key string, value *yaml.Node) {
		instead, literal := literalSecrets[key]
		parameter := strings.Contains(full, ".endpoint_params.") || strings.Contains(full, ".claims.") // whose names are the user's
		switch {
		case literal && !parameter:
			k.report(full, "secrets do not stand in the configuration; write %s instead", instead)
		case strings.HasSuffix(key, "_file") && !parameter, key == "files":
			k.readable(full, value)
		case strings.Contains(full, ".proxy_connect_header."):
			// There is no file for these; Prometheus's type keeps them from being shown.
		default:
			k.noSecret(full, key, value)
		}
	})
}

// withoutSecrets masks secrets in what decoding says of an http_config: Go's
// errors quote a URL that they cannot read.
func (k *checker) withoutSecrets(problems strictyaml.Problems) strictyaml.Problems {
	for i, p := range problems {
		if strings.Contains(p.Key, "http_config") {
			problems[i].Text, _ = k.redactor.RedactString(p.Text)
		}
	}
	return problems
}

// readable checks that the files that a key names can be read.
func (k *checker) readable(path string, value *yaml.Node) {
	for _, file := range texts(value) {
		if file == "" {
			continue
		}
		if _, err := readFile(promconfig.JoinDir(k.dir, file)); err != nil {
			k.report(path, "%v", err)
		}
	}
}

// noSecret reports a value that is a secret by its name or its shape, as the
// redaction of evidence knows them.
func (k *checker) noSecret(path, key string, value *yaml.Node) {
	name := key
	if key == "values" { // of a header
		name = lastKey(strings.TrimSuffix(path, ".values"))
	}
	for _, text := range texts(value) {
		_, masked := k.redactor.RedactString(name + ": " + text)
		if masked == 0 && (text == "" || !secretName(name)) {
			continue
		}
		switch {
		case key == "proxy_url":
			k.addf(path, "secrets do not stand in the configuration; write proxy_from_environment: true instead, and set HTTP_PROXY and HTTPS_PROXY with the password in triagebot's environment")
		case key == "values":
			k.addf(path, "secrets do not stand in the configuration; write files instead, with a file that holds the header's value")
		case strings.Contains(path, ".oauth2."):
			k.addf(path, "secrets do not stand in the configuration; write client_secret_file, or client_certificate_key_file with the grant_type urn:ietf:params:oauth:grant-type:jwt-bearer, instead")
		default:
			k.addf(path, "secrets do not stand in the configuration; write authorization with credentials_file, or basic_auth with password_file, instead")
		}
		return
	}
}

// secretName says whether a parameter or a header is a credential by its name,
// though free text under such a name, which redaction is for, seldom is one.
func secretName(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, "assertion") || strings.HasSuffix(name, "auth") || strings.HasSuffix(name, "key")
}

// texts are the texts of a value that is one, or a list of them.
func texts(value *yaml.Node) (found []string) {
	nodes := []*yaml.Node{value}
	if value.Kind == yaml.SequenceNode {
		nodes = value.Content
	}
	for _, n := range nodes {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!bool" {
			found = append(found, n.Value)
		}
	}
	return found
}
