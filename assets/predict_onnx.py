"""What is on a picture, by an exported .onnx file alone: python predict_onnx.py FILE.onnx PICTURE

Needs numpy, pillow and onnxruntime. The picture is prepared as the file's metadata say, if
more simply than by fmnist-tui: the ground is taken to have one colour, the median of the
border's; what differs from it by a tenth of the most is the object, which is made light on
dark, cut out, scaled and put in the middle. Normalising is done inside the file.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model = onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
facts = model.get_modelmeta().custom_metadata_map
how, classes = json.loads(facts["preparation"]), json.loads(facts["classes"])
size, edge = how["size"], round(how["size"] * how["fit"])
picture = ImageOps.exif_transpose(Image.open(sys.argv[2])).convert("RGBA")
picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
if how["crop"]:
    grey = np.asarray(picture.convert("L"), np.float32)
    apart = np.abs(grey - np.median([*grey[0], *grey[-1], *grey[:, 0], *grey[:, -1]]))
    light = Image.fromarray((apart * 255 / max(apart.max(), 1)).astype(np.uint8))
    box = light.point(lambda level: level if level > 25 else 0).getbbox()
    seen = Image.new("L", (size, size))
    seen.paste(ImageOps.pad(light.crop(box), (edge, edge)), ((size - edge + 1) // 2,) * 2)
    if how["centre"] == "mass":
        weights = np.asarray(seen) / max(np.sum(seen), 1)
        across, down = (size / 2 - np.arange(size) @ weights.sum(axis) for axis in (0, 1))
        seen = np.roll(seen, (round(down), round(across)), (0, 1))
else:
    picture = picture.convert("RGB" if how["channels"] == 3 else "L")
    seen = ImageOps.pad(picture, (size, size), color="white")
pixels = np.asarray(seen, np.float32).reshape(1, size, size, -1).transpose(0, 3, 1, 2)
pixels = pixels.repeat(how["channels"] // pixels.shape[1], 1)
(shares,) = model.run(["probabilities"], {"pixels": pixels})
for place in shares[0].argsort()[::-1][:5]:
    print(f"{shares[0, place]:6.1%}  {classes[place]}")
