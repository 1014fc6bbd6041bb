package config

// Grafana: its annotations are changes that may explain an incident.

import (
	"time"

	promconfig "github.com/prometheus/common/config"
	"github.com/prometheus/common/model"
)

// Grafana is one Grafana; without a URL there is none.
type Grafana struct {
	URL         string                       `yaml:"url,omitempty"`
	ExternalURL string                       `yaml:"external_url,omitempty"` // for links; URL when ""
	HTTPConfig  *promconfig.HTTPClientConfig `yaml:"http_config"`            // never nil
	Timeout     model.Duration               `yaml:"timeout"`
}

const defaultGrafanaTimeout = model.Duration(10 * time.Second)

func fillInGrafana(g *Grafana) {
	trimURL(&g.URL, &g.ExternalURL)
	orDefaultHTTP(&g.HTTPConfig)
	if g.ExternalURL == "" {
		g.ExternalURL = g.URL
	}
	if g.Timeout == 0 {
		g.Timeout = defaultGrafanaTimeout
	}
}

func (k *checker) grafana(g *Grafana) {
	k.url("grafana.url", g.URL)
	if g.ExternalURL != g.URL {
		k.url("grafana.external_url", g.ExternalURL)
	}
	if g.URL == "" && g.ExternalURL != "" {
		k.addf("grafana.url", "is missing; write the base URL of Grafana, such as https://grafana.example.org")
	}
	k.httpConfig("grafana", g.HTTPConfig)
	k.positive("grafana.timeout", g.Timeout)
}
