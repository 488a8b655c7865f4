"""Classify an image with an exported .onnx file: python predict_onnx.py FILE.onnx IMAGE

Needs numpy, pillow and onnxruntime. The image is prepared as the file's metadata say, a little
more simply than by fmnist-tui: the background has one colour, the median of the border; whatever
differs from it by more than a tenth of the largest difference is the object, which is made light
on dark, cropped, scaled and centred. The model in the file normalises the pixels itself.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
metadata = model.get_modelmeta().custom_metadata_map
preparation, classes = json.loads(metadata["preparation"]), json.loads(metadata["classes"])
size, edge = preparation["size"], round(preparation["size"] * preparation["fit"])
image = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert("RGBA")
image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
if preparation["crop"]:
    grey = np.asarray(image.convert("L"), np.float32)
    difference = np.abs(grey - np.median([*grey[0], *grey[-1], *grey[:, 0], *grey[:, -1]]))
    light = Image.fromarray((difference * 255 / max(difference.max(), 1)).astype(np.uint8))
    box = light.point(lambda level: level if level > 25 else 0).getbbox()
    prepared = Image.new("L", (size, size))
    prepared.paste(ImageOps.pad(light.crop(box), (edge, edge)), ((size - edge + 1) // 2,) * 2)
    if preparation["centre"] == "mass":
        weights = np.asarray(prepared) / max(np.sum(prepared), 1)
        across, down = (size / 2 - np.arange(size) @ weights.sum(axis) for axis in (0, 1))
        prepared = np.roll(prepared, (round(down), round(across)), (0, 1))
else:
    image = image.convert("RGB" if preparation["channels"] == 3 else "L")
    prepared = ImageOps.pad(image, (size, size), color="white")
pixels = np.asarray(prepared, np.float32).reshape(1, size, size, -1).transpose(0, 3, 1, 2)
pixels = pixels.repeat(preparation["channels"] // pixels.shape[1], 1)
(probabilities,) = model.run(["probabilities"], {"pixels": pixels})
for label in probabilities[0].argsort()[::-1][:5]:
    print(f"{probabilities[0, label]:6.1%}  {classes[label]}")
