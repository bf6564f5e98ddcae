"""The environment variables, and the folders that every other module of settings is about."""

from pathlib import Path

import environ

from core.home import home_folder

env = environ.Env()

ROOT = Path(__file__).resolve().parents[3]
HOME = home_folder()
PORT = int(env.str("PORT", default="") or 8000)
