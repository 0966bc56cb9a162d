"""augmentation_settings: every setting of random changes to images, declared once."""

from typing import Annotated

from pydantic import Field

from malaria.settings.declare import Finite, Flag, NoFlag, Settings, Share, Whole, setting


class Augmentation(Settings):
    """Random changes to training images; what is not named is off."""

    flips: Flag = setting(False, "left-right and up-down")
    quarter_turns: Flag = setting(False, "by 0, 90, 180 or 270 degrees; for square images")
    rotation: Annotated[Finite, Field(ge=0, le=180), NoFlag] = setting(
        0.0, "degrees, at most, either way"
    )
    shear: Share = setting(0.0, "sideways shift as a share of the height, either way")
    zoom: Share = setting(0.0, "share larger or smaller")
    aspect_ratio: Share = setting(
        0.0, "share wider and flatter, or narrower and higher", was="stretch"
    )
    blur: Whole = setting(0.0, "share, at most, of a blurred image (1 pixel) in the mixture")
    brightness: Share = setting(0.0, "share brighter or darker")
    color_jitter: Share = setting(
        0.0,
        "share by which each colour is stronger or weaker, as white balances differ",
        was="stain",
    )
    stain_transfer: Whole = setting(
        0.0, "share of images that take the stain of another image, in optical density"
    )
    stain_jitter: Share = setting(
        0.0, "share by which each stain, such as eosin, is more or less, in optical density"
    )
    background: Whole = setting(
        0.0, "share of the cells on black that are put on a light background with neighbours"
    )
    mask: Whole = setting(0.0, "share of the cells on a background that are put on black")
    resolution: Share = setting(
        0.0,
        "share of its sides by which half of the images is made smaller and then as large again",
    )
    jpeg: Whole = setting(0.0, "share of images that are compressed as JPEG does, quality 30 to 90")
