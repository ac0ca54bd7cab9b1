"""Raw files -> sharded TFRecords; one script per source."""

SCRIPTS = (
    "folders",
    "arrays",
    "geotiff",
    "nifti",
    "dicom",
    "gta5",
    "cityscapes",
    "satellite_map",
    "fluent_emoji",
    "citi168",
    "toy_street",
)
