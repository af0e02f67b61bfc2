package example;

import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.extensions.python.PythonExternalTransform;
import org.apache.beam.sdk.options.Default;
import org.apache.beam.sdk.options.Description;
import org.apache.beam.sdk.options.PipelineOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.schemas.Schema;
import org.apache.beam.sdk.transforms.Create;
import org.apache.beam.sdk.transforms.DoFn;
import org.apache.beam.sdk.transforms.ParDo;
import org.apache.beam.sdk.values.PCollection;
import org.apache.beam.sdk.values.Row;

/** Cuts out two pictures, one of which is not there, and prints what became of each. */
public class CutOut {

  public interface Options extends PipelineOptions {
    @Description("The folder for the cutouts")
    @Default.String("cutouts")
    String getOutput();

    void setOutput(String output);

    @Description("The model")
    @Default.String("tiny")
    String getModel();

    void setModel(String model);

    @Description("Where Python's expansion service listens")
    @Default.String("localhost:8097")
    String getExpansionService();

    void setExpansionService(String expansionService);
  }

  static final Schema PICTURE =
      Schema.builder().addStringField("uri").addInt64Field("sku").build();

  static Row picture(String uri, long sku) {
    return Row.withSchema(PICTURE).addValues(uri, sku).build();
  }

  static class Print extends DoFn<Row, Void> {
    @ProcessElement
    public void print(@Element Row row) {
      System.out.printf(
          "%d %s %s %s%n",
          row.getInt64("sku"),
          row.getString("status"),
          row.getArray("outputs"),
          row.getString("message"));
    }
  }

  public static void main(String[] args) {
    Options options =
        PipelineOptionsFactory.fromArgs(args).withValidation().as(Options.class);
    Pipeline pipeline = Pipeline.create(options);

    PCollection<Row> pictures =
        pipeline.apply(
            Create.of(picture("examples/rocket.jpg", 7), picture("examples/not-there.jpg", 8))
                .withRowSchema(PICTURE));

    // The settings are those of the command's flags. The columns of a row and the row's own come out.
    PCollection<Row> outcomes =
        pictures.apply(
            "Remove backgrounds",
            PythonExternalTransform.<PCollection<Row>, PCollection<Row>>from(
                    "rembg_beam.yaml.RemoveBackground", options.getExpansionService())
                .withKwarg("output", options.getOutput())
                .withKwarg("model", options.getModel())
                .withKwarg("max_bytes", "50MB"));

    outcomes.apply("Print", ParDo.of(new Print()));
    pipeline.run().waitUntilFinish();
  }
}
