// Makes a chart's values.schema.json and README.md of the comments in its values.yaml, so that a value is described in one place.
// Called by `charts/generate`:
//
//	generator CHART OUT
//
// reads CHART/values.yaml and CHART/README.md.tmpl and writes both files to OUT.
//
// A comment above a value is its description. A line in it that begins with `@schema` is JSON Schema in YAML's flow style, and
// is laid over what the default says: the type, with null besides, and for a map that it has these keys and no others. A map
// whose `@schema` speaks of additionalProperties is a value as a whole. In the README's template the line `<!-- values -->`
// stands for the table.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

const annotation = "@schema"

// A value of values.yaml, or a map of them.
type value struct {
	path        string
	description string
	// What `@schema` says.
	schema map[string]any
	node   *yaml.Node
	// In their order; nil for a value as a whole.
	children []*value
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: generator CHART OUT")
		os.Exit(2)
	}
	if err := generate(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func generate(chart, out string) error {
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text, &document); err != nil {
		return fmt.Errorf("values.yaml: %w", err)
	}
	root := &value{node: document.Content[0], schema: map[string]any{}}
	if err := root.read(); err != nil {
		return fmt.Errorf("values.yaml: %w", err)
	}
	template, err := os.ReadFile(filepath.Join(chart, "README.md.tmpl"))
	if err != nil {
		return err
	}
	schema, err := schemaFile(root)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, "values.schema.json"), schema, 0o644); err != nil {
		return err
	}
	readme := strings.Replace(string(template), "<!-- values -->\n", table(root), 1)
	return os.WriteFile(filepath.Join(out, "README.md"), []byte(readme), 0o644)
}

// === reading ===

func (it *value) read() error {
	if _, whole := it.schema["additionalProperties"]; it.node.Kind != yaml.MappingNode || len(it.node.Content) == 0 || whole {
		return nil
	}
	for i := 0; i < len(it.node.Content); i += 2 {
		key := it.node.Content[i]
		child := &value{path: strings.TrimPrefix(it.path+"."+key.Value, "."), node: it.node.Content[i+1]}
		if err := child.comment(key.HeadComment); err != nil {
			return fmt.Errorf("%s: %w", child.path, err)
		}
		if err := child.read(); err != nil {
			return err
		}
		it.children = append(it.children, child)
	}
	return nil
}

// Of several comments with empty lines between, the last one is the value's.
func (it *value) comment(comment string) error {
	it.schema = map[string]any{}
	parts := strings.Split(comment, "\n\n")
	var lines, schema []string
	for _, line := range strings.Split(parts[len(parts)-1], "\n") {
		line = strings.TrimSpace(strings.TrimPrefix(line, "#"))
		if len(schema) > 0 || strings.HasPrefix(line, annotation) {
			schema = append(schema, strings.TrimPrefix(line, annotation))
		} else if line != "" {
			lines = append(lines, line)
		}
	}
	it.description = strings.Join(lines, " ")
	return yaml.Unmarshal([]byte(strings.Join(schema, " ")), &it.schema)
}

// === the schema ===

func schemaFile(root *value) ([]byte, error) {
	schema, err := root.jsonSchema()
	if err != nil {
		return nil, err
	}
	schema["$schema"] = "http://json-schema.org/draft-07/schema#"
	schema["type"] = "object"
	// Helm's own: what a chart above this one has for all of its charts.
	schema["properties"].(map[string]any)["global"] = map[string]any{"type": []string{"object", "null"}}
	text, err := json.MarshalIndent(schema, "", " ")
	return append(text, '\n'), err
}

func (it *value) jsonSchema() (map[string]any, error) {
	schema := map[string]any{}
	if it.description != "" {
		schema["description"] = it.description
	}
	_, enumerated := it.schema["enum"]
	_, elsewhere := it.schema["$ref"]
	if !enumerated && !elsewhere {
		kind, err := it.kind()
		if err != nil {
			return nil, err
		}
		schema["type"] = []string{kind, "null"}
	}
	if it.children != nil {
		properties := map[string]any{}
		for _, child := range it.children {
			property, err := child.jsonSchema()
			if err != nil {
				return nil, err
			}
			name := child.path[strings.LastIndex(child.path, ".")+1:]
			properties[name] = property
		}
		schema["properties"] = properties
		schema["additionalProperties"] = false
	}
	for key, said := range it.schema {
		schema[key] = said
	}
	return schema, nil
}

func (it *value) kind() (string, error) {
	switch {
	case it.node.Kind == yaml.MappingNode:
		return "object", nil
	case it.node.Kind == yaml.SequenceNode:
		return "array", nil
	case it.node.Tag == "!!str":
		return "string", nil
	case it.node.Tag == "!!int":
		return "integer", nil
	case it.node.Tag == "!!bool":
		return "boolean", nil
	case it.schema["type"] != nil:
		return "null", nil
	}
	return "", fmt.Errorf("%s: the default %q says no type, and there is none in a comment's %s", it.path, it.node.Value, annotation)
}

// === the table ===

func table(root *value) string {
	var rows strings.Builder
	rows.WriteString("| value | default | meaning |\n|---|---|---|\n")
	root.rows(&rows)
	return rows.String()
}

func (it *value) rows(rows *strings.Builder) {
	if it.path != "" && (it.children == nil || it.description != "") {
		fmt.Fprintf(rows, "| `%s` | %s | %s |\n", it.path, it.shown(), strings.ReplaceAll(it.description, "|", `\|`))
	}
	for _, child := range it.children {
		child.rows(rows)
	}
}

func (it *value) shown() string {
	if it.children != nil {
		return ""
	}
	var decoded any
	if err := it.node.Decode(&decoded); err != nil || decoded == nil || decoded == "" {
		return "–"
	}
	if text, ok := decoded.(string); ok {
		return "`" + text + "`"
	}
	text, err := json.Marshal(decoded)
	if err != nil {
		return "–"
	}
	return "`" + string(text) + "`"
}
