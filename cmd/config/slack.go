package config

// What must hold of Slack: where its API is, and how people there are heard.

import "strings"

func (k *checker) slack(c *Config) {
	s := &c.Slack
	k.positive("slack.timeout", s.Timeout)
	k.url("slack.api_url", s.APIURL)
	if s.APIURL != "" && !strings.HasSuffix(s.APIURL, "/") {
		k.addf("slack.api_url", "must end in a slash, as https://slack.com/api/ does")
	}
	if s.FallbackChannel != "" {
		k.channel("slack.fallback_channel", s.FallbackChannel)
	}
	k.listen("slack.local.listen", s.Local.Listen)
	if host, _, ok := splitListen(s.Local.Listen); ok && !isLoopback(host) {
		k.addf("slack.local.listen", "%q is not on loopback; the local channel knows no password, so write 127.0.0.1:9096", s.Local.Listen)
	}
	k.hearing(c)
}

// hearing checks the two secrets by which Slack's people are heard. What they
// look like is told apart here, for each is easily taken for another.
func (k *checker) hearing(c *Config) {
	s := &c.Slack
	signing, app := keyInUse("slack.signing_secret", s.SigningSecretEnv), keyInUse("slack.app_token", s.AppTokenEnv)
	if t := string(s.Token); t != "" && strings.HasPrefix(t, "xapp-") {
		k.addf(keyInUse("slack.token", s.TokenEnv), "is an app-level token (xapp-…), which belongs into slack.app_token_file; the bot token (xoxb-…) stands in the app's settings under OAuth & Permissions")
	}
	if t := string(s.AppToken); t != "" && !strings.HasPrefix(t, "xapp-") {
		k.addf(app, "is no app-level token (xapp-…); make one in the app's settings, under Basic Information, App-Level Tokens, with the scope connections:write")
	}
	if t := string(s.SigningSecret); strings.HasPrefix(t, "xox") || strings.HasPrefix(t, "xapp-") {
		k.addf(signing, "is a token, not the signing secret; that stands in the app's settings, under Basic Information, App Credentials")
	}
	if s.Token == "" {
		const lonely = "stands without slack.token_file, whose app it is of; set that as well, or remove this: the local channel needs neither"
		if s.SigningSecret != "" {
			k.addf(signing, lonely)
		}
		if s.AppToken != "" {
			k.addf(app, lonely)
		}
	}
	if s.SigningSecret != "" && c.Server.AsksWhoComes() {
		k.addf(signing, "Slack can show neither the password nor the certificate that server.web_config_file asks everybody for; use Socket Mode (slack.app_token_file) instead, or leave that to a proxy in front")
	}
}

// keyInUse is the key by which a secret is given.
func keyInUse(path, env string) string {
	if env != "" {
		return path + "_env"
	}
	return path + "_file"
}
