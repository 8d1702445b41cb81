"""A model file as a folder for any web server: pictures are answered in the browser."""
