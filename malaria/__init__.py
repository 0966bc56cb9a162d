"""Tell malaria-parasitized red blood cells from uninfected ones, one picture a cell."""
