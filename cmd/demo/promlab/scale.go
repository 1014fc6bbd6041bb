// Dividing the durations of rules and expressions by the lab's factor.

package promlab

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/common/promslog"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// ScaleExpr divides the ranges, offsets and subquery steps of a PromQL
// expression by factor, and changes nothing else.
func ScaleExpr(p parser.Parser, expr string, factor float64) (string, error) {
	parsed, err := p.ParseExpr(expr)
	if err != nil {
		return "", err
	}
	if factor == 1 {
		return expr, nil
	}
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		switch n := node.(type) {
		case *parser.MatrixSelector:
			n.Range = divide(n.Range, factor)
		case *parser.VectorSelector:
			n.OriginalOffset = divide(n.OriginalOffset, factor)
		case *parser.SubqueryExpr:
			n.Range = divide(n.Range, factor)
			n.OriginalOffset = divide(n.OriginalOffset, factor)
			n.Step = divide(n.Step, factor)
		}
		return nil
	})
	return parsed.String(), nil
}

// ScaleRules divides the durations of a rules file and of its expressions by
// factor and returns it as a rules file again, for a Prometheus of another
// process. Comments are lost.
func ScaleRules(file []byte, factor float64) ([]byte, error) {
	set, err := loadRules(file, factor, parser.NewParser(parser.Options{}))
	if err != nil {
		return nil, err
	}
	out, err := yaml.Marshal(set.groups)
	if err != nil {
		return nil, fmt.Errorf("write scaled rules: %w", err)
	}
	return out, nil
}

// divide keeps a duration that is not 0 from becoming 0: PromQL's resolution
// is a millisecond.
func divide(d time.Duration, factor float64) time.Duration {
	if d == 0 {
		return 0
	}
	scaled := time.Duration(float64(d) / factor).Round(time.Millisecond)
	switch {
	case scaled != 0:
		return scaled
	case d < 0:
		return -time.Millisecond
	default:
		return time.Millisecond
	}
}

// rulesFile is what the rules' file is called inside the lab.
const rulesFile = "rules.yaml"

// ruleSet is a rules file with its time divided. It implements
// rules.GroupLoader.
type ruleSet struct {
	parser parser.Parser
	groups *rulefmt.RuleGroups
	// byScaled finds an expression as written by what the rule manager has.
	byScaled map[string]string
}

func loadRules(file []byte, factor float64, p parser.Parser) (*ruleSet, error) {
	groups, errs := rulefmt.Parse(file, false, model.UTF8Validation, p, promslog.NewNopLogger())
	if len(errs) > 0 {
		return nil, fmt.Errorf("alert rules: %w", errs[0])
	}
	set := &ruleSet{parser: p, groups: groups, byScaled: map[string]string{}}
	for g := range groups.Groups {
		group := &groups.Groups[g]
		group.Interval = divideModel(group.Interval, factor)
		for r := range group.Rules {
			rule := &group.Rules[r]
			scaled, err := ScaleExpr(p, rule.Expr, factor)
			if err != nil {
				return nil, fmt.Errorf("alert rules: group %q: %w", group.Name, err)
			}
			written, err := p.ParseExpr(rule.Expr)
			if err != nil {
				return nil, fmt.Errorf("alert rules: group %q: %w", group.Name, err)
			}
			parsed, err := p.ParseExpr(scaled)
			if err != nil {
				return nil, fmt.Errorf("alert rules: group %q: scaled to %q: %w", group.Name, scaled, err)
			}
			set.byScaled[parsed.String()] = written.String()
			rule.Expr = scaled
			rule.For = divideModel(rule.For, factor)
			rule.KeepFiringFor = divideModel(rule.KeepFiringFor, factor)
		}
	}
	return set, nil
}

func divideModel(d model.Duration, factor float64) model.Duration {
	return model.Duration(divide(time.Duration(d), factor))
}

// Load implements rules.GroupLoader.
func (s *ruleSet) Load(string, bool, model.ValidationScheme) (*rulefmt.RuleGroups, []error) {
	return s.groups, nil
}

// Parse implements rules.GroupLoader.
func (s *ruleSet) Parse(expr string) (parser.Expr, error) { return s.parser.ParseExpr(expr) }

// written is an expression of a rule as its author wrote it.
func (s *ruleSet) written(scaled string) string {
	if expr, ok := s.byScaled[scaled]; ok {
		return expr
	}
	return scaled
}
