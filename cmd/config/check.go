package config

// What must hold between and within the values of a configuration.

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
	"github.com/prometheus/exporter-toolkit/web"
	"go.yaml.in/yaml/v3"

	"triagebot/triage/evidence"
	"triagebot/triage/matcher"
	"triagebot/triage/strictyaml"
)

// checker gathers what is wrong with one file.
type checker struct {
	file     string
	dir      string // of the file
	root     *yaml.Node
	problems strictyaml.Problems
	skip     []string // keys that are known to be wrong, with all below them
	redactor *evidence.Redactor
}

// given says whether the file has a key.
func (k *checker) given(path string) bool {
	found := false
	k.walk(path[:strings.LastIndexByte(path, '.')], func(full, _ string, _ *yaml.Node) {
		found = found || full == path
	})
	return found
}

// skipBelow remembers what could not be decoded: its value is a default, of
// which anything that is said would be noise.
func (k *checker) skipBelow(p strictyaml.Problem) {
	if !p.Decoded {
		k.skip = append(k.skip, p.Key)
	}
}

// addf reports a problem with the value at path, unless it is known to be wrong.
func (k *checker) addf(path, format string, args ...any) {
	for _, wrong := range k.skip {
		if rest, ok := strings.CutPrefix(path, wrong); ok && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return
		}
	}
	k.report(path, format, args...)
}

func (k *checker) report(path, format string, args ...any) {
	k.problems = append(k.problems, strictyaml.Problem{
		File: k.file, Line: strictyaml.Line(k.root, path), Key: path, Text: fmt.Sprintf(format, args...),
	})
}

// walk calls f for every key below path, with its path and value.
func (k *checker) walk(path string, f func(full, key string, value *yaml.Node)) {
	var below func(n *yaml.Node, at string)
	below = func(n *yaml.Node, at string) {
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				full := strictyaml.Join(at, n.Content[i].Value)
				if strings.HasPrefix(full, path+".") || strings.HasPrefix(full, path+"[") {
					f(full, n.Content[i].Value, n.Content[i+1])
				}
				below(n.Content[i+1], full)
			}
		case yaml.SequenceNode:
			for i, item := range n.Content {
				below(item, at+"["+strconv.Itoa(i)+"]")
			}
		}
	}
	below(k.root, "")
}

// resolve makes paths absolute or relative to the working folder, and reads
// secrets.
func (k *checker) resolve(c *Config) {
	if c.Storage.SQLite != nil {
		c.Storage.SQLite.Path = promconfig.JoinDir(k.dir, c.Storage.SQLite.Path)
	}
	for _, path := range []*string{&c.Evidence.Dir, &c.Server.WebConfigFile, &c.Slack.Local.Journal} {
		*path = promconfig.JoinDir(k.dir, *path)
	}
	for i := range c.Playbooks.Files {
		c.Playbooks.Files[i] = promconfig.JoinDir(k.dir, c.Playbooks.Files[i])
	}
	k.resolveTraces(&c.Traces)
	for i, w := range c.Webhooks {
		if w.URL != "" && w.URLFile != "" {
			k.addf(fmt.Sprintf("webhooks[%d].url_file", i), "stands beside url; keep one of the two")
		}
	}
	for _, s := range c.secretSources() {
		k.read(s)
	}
}

func (k *checker) check(c *Config) {
	k.server(&c.Server)
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "logfmt", "json")
	k.storage(c)
	k.alertmanagers(c.Alertmanagers)
	if c.Prometheus.URL == "" {
		k.addf("prometheus.url", "is missing; write the base URL of Prometheus, such as http://127.0.0.1:9090")
	}
	k.datasource("prometheus", &c.Prometheus)
	for _, name := range slices.Sorted(maps.Keys(c.Datasources)) {
		d := c.Datasources[name]
		path := "datasources." + name
		k.name(path, name)
		if name == "prometheus" {
			k.addf(path, "is the name of the one under prometheus; choose another")
		}
		k.required(path+".url", d.URL)
		k.datasource(path, &d)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Services)) {
		s := c.Services[name]
		path := "services." + name
		k.name(path, name)
		k.required(path+".url", s.URL)
		k.url(path+".url", s.URL)
		k.httpConfig(path, s.HTTPConfig)
	}
	if g := c.Grafana; g != nil {
		k.required("grafana.url", g.URL)
		k.url("grafana.url", g.URL)
		if g.ExternalURL != g.URL {
			k.url("grafana.external_url", g.ExternalURL)
		}
		k.httpConfig("grafana", g.HTTPConfig)
		k.positive("grafana.timeout", g.Timeout)
	}
	k.playbooks(&c.Playbooks)
	k.positive("incidents.reopen_within", c.Incidents.ReopenWithin)
	k.positive("incidents.alert_ttl", c.Incidents.AlertTTL)
	k.positive("incidents.vanished_after", c.Incidents.VanishedAfter)
	k.positive("incidents.rerun_after", c.Incidents.RerunAfter)
	k.positive("incidents.edit_every", c.Incidents.EditEvery)
	k.oneOf("incidents.replies", c.Incidents.Replies, RepliesAll, RepliesAbnormal)
	k.slack(c)
	k.webhooks(c.Webhooks)
	k.traces(&c.Traces)
	k.escalation(c)
	k.access(c)
	k.commands(c.Commands)
	k.maintenance(c)
	k.routes(c)
}

func (k *checker) server(s *Server) {
	k.listen("server.listen", s.Listen)
	k.url("server.external_url", s.ExternalURL)
	if s.WebConfigFile != "" {
		k.webConfig(s)
	}
	if s.MaxBody < 1<<10 || s.MaxBody > 64<<20 {
		k.addf("server.max_body", "%s is out of bounds; it must be from 1KiB to 64MiB", s.MaxBody)
	}
	k.within("server.max_alertnames", s.MaxAlertnames, 1, 100_000)
	k.within("server.max_concurrent", s.MaxConcurrent, 1, 10000)
	k.positive("server.read_timeout", s.ReadTimeout)
	k.positive("server.write_timeout", s.WriteTimeout)
	k.positive("server.evidence_link_ttl", s.EvidenceLinkTTL)
	if b := s.Auth.Basic; b != nil {
		k.required("server.auth.basic.username", b.Username)
	}
}

// webConfig checks exporter-toolkit's file, and that whoever gets past its
// users can get past the webhook's as well: both read the one Authorization
// header.
func (k *checker) webConfig(s *Server) {
	data, err := readFile(s.WebConfigFile)
	if err != nil {
		k.addf("server.web_config_file", "%v", err)
		return
	}
	if err := web.Validate(s.WebConfigFile); err != nil {
		k.addf("server.web_config_file", "%s: %v", s.WebConfigFile, err)
		return
	}
	var file webConfig
	if err := yaml.Unmarshal(data, &file); err != nil || len(file.Users) == 0 {
		return // what is no such file, web.Validate has said
	}
	const same = "the basic_auth_users of web_config_file are asked for in the same Authorization header"
	for _, token := range []struct{ key, given string }{{"bearer_token_file", s.Auth.BearerTokenFile}, {"bearer_token_env", s.Auth.BearerTokenEnv}} {
		if token.given != "" {
			k.addf("server.auth."+token.key, "nobody can show this token, for %s; remove it, for those users guard the webhook as well, or remove basic_auth_users there", same)
		}
	}
	if b := s.Auth.Basic; b != nil && b.Username != "" && file.Users[b.Username] == "" {
		k.addf("server.auth.basic.username", "nobody can log in as %q, for %s and have no such user; write one of them with the same password, or remove basic", b.Username, same)
	}
}

// playbooks drops the globs that it complains of, so that the playbooks of the
// others can be checked all the same.
func (k *checker) playbooks(p *Playbooks) {
	var found []string
	for i, glob := range p.Files {
		path := fmt.Sprintf("playbooks.files[%d]", i)
		switch files, err := filepath.Glob(glob); {
		case err != nil:
			k.addf(path, "%q is no glob: %v", glob, err)
		case len(files) == 0:
			k.addf(path, "no file matches %s", glob)
		default:
			found = append(found, glob)
		}
	}
	p.Files = found
}

func (k *checker) storage(c *Config) {
	if c.Storage.SQLite != nil && c.Storage.Postgres != nil {
		k.addf("storage.postgres", "stands beside sqlite; keep one of the two")
	}
	if p := c.Storage.Postgres; p != nil && p.URL != "" {
		if _, err := pgx.ParseConfig(string(p.URL)); err != nil {
			// The error's own text may quote the URL.
			k.addf("storage.postgres", "the URL cannot be read; write postgres://user:password@host:5432/database")
		}
	}
	k.within("storage.max_backlog", c.Storage.MaxBacklog, 1, 10_000_000)
	k.evidence(&c.Evidence)
}

func (k *checker) evidence(e *Evidence) {
	if e.BucketURL == "" {
		return
	}
	if e.Dir != "" {
		k.addf("evidence.bucket_url", "stands beside dir; keep one of the two")
		return
	}
	if u, err := url.Parse(e.BucketURL); err != nil || u.Scheme != "s3" || u.Host == "" {
		k.addf("evidence.bucket_url", "must be the URL of an S3-compatible bucket, such as s3://triage-evidence?region=eu-central-1")
	} else if err := evidence.CheckBucketURL(e.BucketURL); err != nil {
		k.addf("evidence.bucket_url", "%v", err)
	}
}

func (k *checker) alertmanagers(ams []Alertmanager) {
	seen := map[string]bool{}
	for i := range ams {
		a := &ams[i]
		path := fmt.Sprintf("alertmanagers[%d]", i)
		k.unique(path+".name", a.Name, seen)
		k.required(path+".url", a.URL)
		k.url(path+".url", a.URL)
		k.url(path+".external_url", a.ExternalURL)
		k.httpConfig(path, a.HTTPConfig)
	}
}

func (k *checker) datasource(path string, d *Datasource) {
	k.url(path+".url", d.URL)
	if d.ExternalURL != d.URL {
		k.url(path+".external_url", d.ExternalURL)
	}
	k.httpConfig(path, d.HTTPConfig)
	k.within(path+".max_concurrent", d.MaxConcurrent, 1, 1000)
}

func (k *checker) webhooks(webhooks []Webhook) {
	seen := map[string]bool{}
	for i := range webhooks {
		w := &webhooks[i]
		path := fmt.Sprintf("webhooks[%d]", i)
		if w.Name == NotifierSlack {
			k.addf(path+".name", "%q is the name of the Slack notifier; choose another", w.Name)
		}
		k.unique(path+".name", w.Name, seen)
		switch {
		case w.URL == "" && w.URLFile == "":
			k.addf(path+".url", "is missing; write url, or url_file with a file that holds it")
		case w.URL == "" || isWebURL(string(w.URL)):
		case w.URLFile != "":
			k.addf(path+".url_file", "what stands in the file %s must be a URL that begins with http:// or https:// and holds no password", w.URLFile)
		default:
			k.addf(path+".url", "must be a URL that begins with http:// or https:// and holds no password")
		}
		k.httpConfig(path, w.HTTPConfig)
	}
}

func (k *checker) routes(c *Config) {
	for i := range c.Routes {
		r := &c.Routes[i]
		path := fmt.Sprintf("routes[%d]", i)
		for j, text := range r.Match {
			m, err := matcher.Parse(text)
			switch {
			case err != nil:
				k.addf(fmt.Sprintf("%s.match[%d]", path, j), "%v; write a matcher such as severity=\"critical\"", err)
			case len(m) == 0:
				k.addf(fmt.Sprintf("%s.match[%d]", path, j), "is empty; write a matcher such as severity=\"critical\"")
			}
			r.matchers = append(r.matchers, m...)
		}
		k.destination(path, c, r.Notifier, r.Channel)
		if r.Replies != "" {
			k.oneOf(path+".replies", r.Replies, RepliesAll, RepliesAbnormal)
		}
		if len(r.Match) == 0 && i < len(c.Routes)-1 {
			k.addf(path+".match", "is missing, so that the routes after it are never reached; write matchers, or make it the last")
		}
	}
	if n := len(c.Routes); n == 0 || len(c.Routes[n-1].Match) > 0 {
		k.addf("routes", "no default: incidents that match none would be shown nowhere; add as the last route, without a match: - {notifier: slack, channel: '#incidents'}")
	}
}

func (k *checker) oneOf(path, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		k.addf(path, "%q is not known; it must be one of %s", value, strings.Join(allowed, ", "))
	}
}

func (k *checker) required(path, value string) {
	if value == "" {
		k.addf(path, "is missing")
	}
}

func (k *checker) unique(path, name string, seen map[string]bool) {
	switch {
	case name == "":
		k.addf(path, "is missing")
	case seen[name]:
		k.addf(path, "the name %q is taken; choose another", name)
	}
	seen[name] = true
}

func (k *checker) positive(path string, d model.Duration) {
	if d <= 0 {
		k.addf(path, "must be longer than 0")
	}
}

func (k *checker) within(path string, n, least, most int) {
	if n < least || n > most {
		k.addf(path, "%d is out of bounds; it must be from %d to %d", n, least, most)
	}
}

var namePattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// name checks a name that playbooks use in templates.
func (k *checker) name(path, name string) {
	if !namePattern.MatchString(name) {
		k.addf(path, "%q cannot be used as a name in playbooks; write letters, digits and underscores", name)
	}
}

// channelPattern are a channel's name and its id.
var channelPattern = regexp.MustCompile(`^(#[^\s#@,]{1,80}|[CGD][A-Z0-9]{6,20})$`)

func (k *checker) channel(path, channel string) {
	if !channelPattern.MatchString(channel) {
		k.addf(path, "%q is no channel; write its name with #, in quotes ('#incidents'), or its id (C0123456789)", channel)
	}
}

// url checks a URL to which paths are added.
func (k *checker) url(path, u string) {
	switch {
	case u == "":
	case !isWebURL(u):
		k.addf(path, "must be a URL that begins with http:// or https:// and holds no password; credentials belong into http_config")
	case strings.ContainsAny(u, "?#"):
		// It would be in links that are posted.
		k.addf(path, "must end before the ? or # in it, for paths are added to it; a token belongs into http_config, as authorization with credentials_file or http_headers with files")
	}
}

// isWebURL says whether u is an absolute URL without credentials.
func isWebURL(u string) bool {
	parsed, err := url.Parse(u)
	return err == nil && (parsed.Scheme == "http" || parsed.Scheme == "https") && parsed.Hostname() != "" && parsed.User == nil
}

func (k *checker) listen(path, address string) {
	if _, _, ok := splitListen(address); !ok {
		k.addf(path, "%q is no address to listen on; write :9095 or 127.0.0.1:9095", address)
	}
}

func splitListen(address string) (host, port string, ok bool) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", "", false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return host, port, err == nil && !strings.ContainsAny(host, "/ ")
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
