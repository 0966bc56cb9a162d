"""augmentation_settings: every setting of random changes to images, declared once."""

from typing import Annotated

from pydantic import Field

from malaria.settings.declare import Finite, Flag, NoFlag, Settings, Share, Whole, setting


class Augmentation(Settings):
    """Random changes to training images; what is not named is off."""

    flips: Flag = setting(False, "random horizontal and vertical flips")
    quarter_turns: Flag = setting(
        False, "random rotation by 0, 90, 180 or 270 degrees; for square images"
    )
    rotation: Annotated[Finite, Field(ge=0, le=180), NoFlag] = setting(
        0.0, "maximum rotation, degrees, either way"
    )
    shear: Share = setting(0.0, "maximum horizontal shear, as a share of the height, either way")
    zoom: Share = setting(0.0, "maximum zoom in or out, as a share of the size")
    aspect_ratio: Share = setting(
        0.0, "share by which images are wider and flatter, or narrower and higher", was="stretch"
    )
    blur: Whole = setting(0.0, "maximum share of a blurred copy (1 pixel) mixed into an image")
    brightness: Share = setting(0.0, "maximum change of brightness, as a share")
    color_jitter: Share = setting(
        0.0,
        "maximum change of each colour channel, as a share, as white balances differ",
        was="stain",
    )
    stain_transfer: Whole = setting(
        0.0, "share of images that take on the stain of another image, in optical density"
    )
    stain_jitter: Share = setting(
        0.0, "maximum change of each stain, such as eosin, as a share, in optical density"
    )
    stain_mixing: Share = setting(
        0.0,
        "maximum share of each colour channel's optical density that is added to another's, or "
        "taken from it, as stains and cameras differ",
    )
    stain_strength: Annotated[Finite, Field(ge=0, le=3), NoFlag] = setting(
        0.0, "maximum increase of all optical densities, as a share, and the inverse decrease"
    )
    paling: Whole = setting(
        0.0, "share of cells that are paler but where they are dark, as enlarged cells are"
    )
    exposure: Share = setting(0.0, "maximum share of the light that half of the images lose")
    background: Whole = setting(
        0.0, "share of the cells on black that are put on a light background with neighbours"
    )
    mask: Whole = setting(0.0, "share of the cells on a background that are put on black")
    crenation: Whole = setting(
        0.0, "share of cells that get 8 to 25 spikes and a mottled surface (echinocytes)"
    )
    overlap: Whole = setting(
        0.0, "share of images on which another image's cell lies over or under the cell, uninfected"
    )
    spots: Whole = setting(0.0, "share of images with refractile spots or a fold on the cell")
    grains: Whole = setting(0.0, "share of images with grains of stain, or a platelet, on the cell")
    resolution: Share = setting(
        0.0, "maximum downsampling, as a share of the sides, of half of the images; upsampled again"
    )
    jpeg: Whole = setting(0.0, "share of images with JPEG compression artefacts, quality 30 to 90")
