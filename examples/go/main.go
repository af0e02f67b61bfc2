// Cuts out two pictures, one of which is not there, and prints what became of each.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"reflect"

	"github.com/apache/beam/sdks/v2/go/pkg/beam"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/core/typex"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/transforms/xlang/python"
	"github.com/apache/beam/sdks/v2/go/pkg/beam/x/beamx"
)

var (
	output  = flag.String("output", "cutouts", "The folder for the cutouts")
	model   = flag.String("model", "tiny", "The model")
	service = flag.String("expansion_service", "localhost:8097", "Where Python's expansion service listens")
)

// Picture names a picture.
type Picture struct {
	URI string `beam:"uri"`
	Sku int64  `beam:"sku"`
}

// Settings are those of the command's flags. Keep names the fields of Outcome.
type Settings struct {
	Output   string   `beam:"output"`
	Model    string   `beam:"model"`
	MaxBytes string   `beam:"max_bytes"`
	Keep     []string `beam:"keep_columns"`
}

// Outcome has columns of the picture and of its row. Fields are called as columns are, with a capital:
// Bytes_in. What may be null is a pointer.
type Outcome struct {
	Sku     int64    `beam:"sku"`
	Status  string   `beam:"status"`
	Outputs []string `beam:"outputs"`
	Message *string  `beam:"message"`
}

func init() {
	beam.RegisterType(reflect.TypeFor[Picture]())
	beam.RegisterType(reflect.TypeFor[Settings]())
	beam.RegisterType(reflect.TypeFor[Outcome]())
	// Not by the package register, whose functions take no rows of other languages.
	beam.RegisterFunction(tell)
}

func removeBackgrounds(s beam.Scope, pictures beam.PCollection, settings Settings) (beam.PCollection, error) {
	step := python.NewExternalTransform[struct{}, Settings]("rembg_beam.yaml.RemoveBackground")
	step.WithKwargs(settings)
	outcomes, err := beam.TryCrossLanguage(
		s.Scope("Remove backgrounds"),
		"beam:transforms:python:fully_qualified_named",
		beam.CrossLanguagePayload(step),
		*service,
		beam.UnnamedInput(pictures),
		beam.UnnamedOutput(typex.New(reflect.TypeFor[Outcome]())))
	return outcomes[beam.UnnamedOutputTag()], err
}

func tell(outcome Outcome) {
	message := ""
	if outcome.Message != nil {
		message = *outcome.Message
	}
	fmt.Println(outcome.Sku, outcome.Status, outcome.Outputs, message)
}

func run() error {
	pipeline, s := beam.NewPipelineWithRoot()
	pictures := beam.Create(s, Picture{"examples/rocket.jpg", 7}, Picture{"examples/not-there.jpg", 8})
	outcomes, err := removeBackgrounds(s, pictures, Settings{
		Output:   *output,
		Model:    *model,
		MaxBytes: "50MB",
		Keep:     []string{"sku", "status", "outputs", "message"},
	})
	if err != nil {
		return err
	}
	beam.ParDo0(s, tell, outcomes)
	return beamx.Run(context.Background(), pipeline)
}

func main() {
	flag.Parse()
	beam.Init()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
