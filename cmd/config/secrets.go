package config

// Where secrets are, and how they are read: from a file or an environment
// variable, never from the configuration itself.

import (
	"fmt"
	"os"
	"strings"

	promconfig "github.com/prometheus/common/config"

	"triagebot/triage/strictyaml"
)

// secretSource is one place in the configuration that names a secret.
type secretSource struct {
	path     string  // of the keys, without _file and _env: slack.token
	file     *string // made absolute
	env      *string // nil where only a file will do
	value    *string
	required bool
}

func (c *Config) secretSources() []secretSource {
	sources := []secretSource{
		{"server.auth.bearer_token", &c.Server.Auth.BearerTokenFile, &c.Server.Auth.BearerTokenEnv, (*string)(&c.Server.Auth.BearerToken), false},
		{"slack.token", &c.Slack.TokenFile, &c.Slack.TokenEnv, (*string)(&c.Slack.Token), false},
		{"access.ctl_token", &c.Access.CtlTokenFile, &c.Access.CtlTokenEnv, (*string)(&c.Access.CtlToken), false},
		{"slack.signing_secret", &c.Slack.SigningSecretFile, &c.Slack.SigningSecretEnv, (*string)(&c.Slack.SigningSecret), false},
		{"slack.app_token", &c.Slack.AppTokenFile, &c.Slack.AppTokenEnv, (*string)(&c.Slack.AppToken), false},
	}
	if b := c.Server.Auth.Basic; b != nil {
		sources = append(sources, secretSource{"server.auth.basic.password", &b.PasswordFile, &b.PasswordEnv, (*string)(&b.Password), true})
	}
	if p := c.Storage.Postgres; p != nil {
		sources = append(sources, secretSource{"storage.postgres.url", &p.URLFile, &p.URLEnv, (*string)(&p.URL), true})
	}
	for i := range c.Webhooks {
		if w := &c.Webhooks[i]; w.URLFile != "" {
			sources = append(sources, secretSource{fmt.Sprintf("webhooks[%d].url", i), &w.URLFile, nil, (*string)(&w.URL), true})
		}
	}
	return sources
}

// read sets the secret's value. Surrounding white space is no part of it.
func (k *checker) read(s secretSource) {
	fromEnv := s.env != nil && *s.env != ""
	switch {
	case *s.file != "" && fromEnv:
		k.addf(s.path+"_env", "stands beside %s_file; keep one of the two", lastKey(s.path))
	case *s.file != "":
		*s.file = promconfig.JoinDir(k.dir, *s.file)
		data, err := readFile(*s.file)
		if err != nil {
			k.addf(s.path+"_file", "%v", err)
			return
		}
		if *s.value = strings.TrimSpace(string(data)); *s.value == "" {
			k.addf(s.path+"_file", "the file %s is empty", *s.file)
		}
	case fromEnv:
		if *s.value = strings.TrimSpace(os.Getenv(*s.env)); *s.value == "" {
			k.addf(s.path+"_env", "the environment variable %s is not set", *s.env)
		}
	case s.required:
		k.addf(s.path, "is missing; write %s_file with a file that holds it, or %[1]s_env with the name of an environment variable", lastKey(s.path))
	}
}

func lastKey(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// explainSecrets tells whoever wrote a secret into the file where it belongs
// instead, and keeps a value out of every message about it.
func explainSecrets(problems strictyaml.Problems) strictyaml.Problems {
	for i, p := range problems {
		if !strings.HasPrefix(p.Text, "unknown key") {
			continue
		}
		key := lastKey(p.Key)
		for _, literal := range []string{"server.auth.bearer_token", "server.auth.basic.password", "slack.token", "slack.signing_secret", "slack.app_token", "access.ctl_token", "storage.postgres.url"} {
			if p.Key == literal {
				problems[i].Text = fmt.Sprintf("unknown key: secrets do not stand in the configuration; write %s_file with a file that holds it, or %[1]s_env with the name of an environment variable", key)
			}
		}
	}
	return problems
}
