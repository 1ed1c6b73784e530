"""Linear SVMs on frozen features: VOC07 and low-shot protocols."""
